//! Counters.

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What an anchor has done so far.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct AnchorStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AnchorStats {
            /// Names and values, in a fixed order.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

stats! {
    /// Offers that were rewritten.
    media_offers,
    /// Answers that were rewritten.
    media_answers,
    /// Calls whose media was ended.
    media_deletes,
    /// Session descriptions that a relay refused.
    media_refused,
    /// Commands that no relay answered.
    media_timeouts,
    /// Session descriptions that could not be held for want of room.
    media_full,
    /// Messages from relays that belong to no command.
    media_stray_replies,
}
