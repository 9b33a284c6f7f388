//! What a proxy does for the session timer: RFC 4028 §8. Numbers in, decisions out; every one in seconds.
//!
//! The proxy never names the refresher in a request (§8.1): that is left to the user agents.

/// The least session interval that may be asked for, in seconds (RFC 4028 §4, §5).
pub const MIN_SE_FLOOR_S: u32 = 90;

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SessionTimerPolicy {
    /// The least interval that the proxy accepts, in seconds. Less than 90 is taken as 90.
    pub min_se_s: u32,
    /// The interval that the proxy asks for, in seconds; `None` leaves it to the user agents.
    pub session_expires_s: Option<u32>,
}

impl Default for SessionTimerPolicy {
    /// At least 90 s, and no wish of its own.
    fn default() -> Self {
        Self { min_se_s: MIN_SE_FLOOR_S, session_expires_s: None }
    }
}

/// What an INVITE or UPDATE says about its session timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestTimer {
    /// `Supported` has the option tag `timer`.
    pub supports_timer: bool,
    /// The value of `Session-Expires`.
    pub session_expires_s: Option<u32>,
    /// The value of `Min-SE`.
    pub min_se_s: Option<u32>,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestDecision {
    /// Answer 422 (Session Interval Too Small).
    Reject {
        /// The value of `Min-SE` in the answer.
        min_se_s: u32,
    },
    /// Forward it.
    Forward {
        /// The value to which `Session-Expires` is set; `None` leaves the field as it is.
        set_session_expires_s: Option<u32>,
        /// The value to which `Min-SE` is set; `None` leaves the field as it is.
        set_min_se_s: Option<u32>,
        /// The interval that the proxy asked for, to be remembered for [`response`]; `None` if it asked for none.
        requested_s: Option<u32>,
    },
}

/// What becomes of a 2xx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseDecision {
    /// Insert `Session-Expires` with this value and `refresher=uac`, and `Require: timer`.
    pub insert_s: Option<u32>,
    /// The session expires this long after the 2xx, unless it is refreshed; `None` if there is no session timer.
    pub expires_s: Option<u32>,
}

/// Decides about a session refresh request (RFC 4028 §8.1).
pub fn request(policy: &SessionTimerPolicy, request: &RequestTimer) -> RequestDecision {
    let least = policy.min_se_s.max(MIN_SE_FLOOR_S);
    match request.session_expires_s {
        Some(asked) if asked < least && request.supports_timer => RequestDecision::Reject { min_se_s: least },
        // Whoever knows no session timer cannot understand a 422: the interval is raised instead.
        Some(asked) if asked < least => {
            let min_se = request.min_se_s.map_or(least, |m| m.max(least));
            RequestDecision::Forward {
                set_session_expires_s: Some(min_se),
                set_min_se_s: (request.min_se_s != Some(min_se)).then_some(min_se),
                requested_s: policy.session_expires_s.map(|_| min_se),
            }
        }
        asked => {
            // Never below the Min-SE of the request, nor above what the request asks for.
            let wanted = policy.session_expires_s.map(|s| s.max(least).max(request.min_se_s.unwrap_or(0)));
            let requested = wanted.map(|w| asked.map_or(w, |a| a.min(w)));
            RequestDecision::Forward {
                set_session_expires_s: requested.filter(|_| requested != asked),
                set_min_se_s: None,
                requested_s: requested,
            }
        }
    }
}

/// Decides about the 2xx to a session refresh request (RFC 4028 §8.2).
///
/// `requested_s` is what [`request`] said to remember, `uac_supports_timer` what the request said, `session_expires_s` the
/// field of the 2xx, which no proxy changes.
pub fn response(
    requested_s: Option<u32>,
    uac_supports_timer: bool,
    session_expires_s: Option<u32>,
) -> ResponseDecision {
    match session_expires_s {
        Some(s) => ResponseDecision { insert_s: None, expires_s: Some(s.max(MIN_SE_FLOOR_S)) },
        // The user agent server knows no session timer, the client does and has to refresh alone.
        None if uac_supports_timer => ResponseDecision { insert_s: requested_s, expires_s: requested_s },
        None => ResponseDecision::default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(min_se_s: u32, session_expires_s: Option<u32>) -> SessionTimerPolicy {
        SessionTimerPolicy { min_se_s, session_expires_s }
    }

    fn asks(supports_timer: bool, session_expires_s: Option<u32>, min_se_s: Option<u32>) -> RequestTimer {
        RequestTimer { supports_timer, session_expires_s, min_se_s }
    }

    fn forward(se: Option<u32>, min_se: Option<u32>, requested_s: Option<u32>) -> RequestDecision {
        RequestDecision::Forward { set_session_expires_s: se, set_min_se_s: min_se, requested_s }
    }

    #[test]
    fn requests_row_by_row() {
        let cases = [
            // Nothing asked, nothing wanted.
            (policy(90, None), asks(true, None, None), forward(None, None, None)),
            // Too small: 422 for whoever knows it, raised for the others.
            (policy(300, None), asks(true, Some(120), None), RequestDecision::Reject { min_se_s: 300 }),
            (policy(300, None), asks(false, Some(120), None), forward(Some(300), Some(300), None)),
            (policy(300, None), asks(false, Some(120), Some(100)), forward(Some(300), Some(300), None)),
            (policy(300, None), asks(false, Some(120), Some(600)), forward(Some(600), None, None)),
            (policy(300, Some(900)), asks(false, Some(120), None), forward(Some(300), Some(300), Some(300))),
            // Large enough.
            (policy(300, None), asks(true, Some(300), None), forward(None, None, None)),
            // A policy below 90 s does not count.
            (policy(10, None), asks(true, Some(89), None), RequestDecision::Reject { min_se_s: 90 }),
            (policy(10, None), asks(true, Some(90), None), forward(None, None, None)),
            // The proxy's own wish: inserted, kept above Min-SE, reduced but never raised.
            (policy(90, Some(1_800)), asks(false, None, None), forward(Some(1_800), None, Some(1_800))),
            (policy(90, Some(1_800)), asks(true, None, Some(3_600)), forward(Some(3_600), None, Some(3_600))),
            (policy(90, Some(1_800)), asks(true, Some(7_200), None), forward(Some(1_800), None, Some(1_800))),
            (policy(90, Some(1_800)), asks(true, Some(7_200), Some(3_600)), forward(Some(3_600), None, Some(3_600))),
            (policy(90, Some(1_800)), asks(true, Some(600), None), forward(None, None, Some(600))),
            (policy(90, Some(30)), asks(true, Some(600), None), forward(Some(90), None, Some(90))),
        ];
        for (policy, asked, want) in cases {
            assert_eq!(request(&policy, &asked), want, "{policy:?} {asked:?}");
        }
    }

    #[test]
    fn responses_row_by_row() {
        let cases = [
            ((None, true, None), (None, None)),
            ((None, true, Some(1_800)), (None, Some(1_800))),
            ((Some(900), true, Some(1_800)), (None, Some(1_800))),
            ((Some(900), true, None), (Some(900), Some(900))),
            ((Some(900), false, None), (None, None)),
            ((Some(900), false, Some(900)), (None, Some(900))),
            ((None, true, Some(1)), (None, Some(90))),
        ];
        for ((requested, supports, se), (insert_s, expires_s)) in cases {
            assert_eq!(response(requested, supports, se), ResponseDecision { insert_s, expires_s });
        }
    }

    proptest! {
        #[test]
        fn no_forwarded_interval_is_below_a_minimum(
            min: u32, wish: Option<u32>, timer: bool, se: Option<u32>, min_se: Option<u32>,
        ) {
            let asked = asks(timer, se, min_se);
            match request(&policy(min, wish), &asked) {
                RequestDecision::Reject { min_se_s } => {
                    prop_assert!(timer && se.is_some_and(|se| se < min_se_s));
                }
                RequestDecision::Forward { set_session_expires_s, set_min_se_s, .. } => {
                    let least = min.max(MIN_SE_FLOOR_S);
                    if let Some(set) = set_session_expires_s {
                        prop_assert!(set >= least && set >= min_se.unwrap_or(0));
                    }
                    prop_assert!(set_session_expires_s.or(se).is_none_or(|s| s >= least));
                    if let Some(set) = set_min_se_s {
                        prop_assert!(!timer && set > min_se.unwrap_or(0));
                    }
                }
            }
        }
    }
}
