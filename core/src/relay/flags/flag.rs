//! Wishes that are either said or not.

use core::fmt;

macro_rules! flags {
    ($($(#[$doc:meta])* $flag:ident: $($name:literal)|+,)+) => {
        /// A wish without a value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Flag { $($(#[$doc])* $flag,)+ }

        /// Every flag with the names it has in a `flags` list, in normal form.
        pub(super) const NAMES: &[(&str, Flag)] = &[$($(($name, Flag::$flag),)+)+];

        const COUNT: usize = [$(Flag::$flag,)+].len();
    };
}

flags! {
    /// A transcoding answer is accepted.
    AllowTranscoding: "allow-transcoding",
    /// The endpoint's address is not learned.
    Asymmetric: "asymmetric",
    /// The endpoint's address is learned: the default.
    Symmetric: "symmetric",
    /// DTMF events are dropped.
    BlockDtmf: "block-dtmf",
    /// Media leaving to the party is blocked.
    BlockEgress: "block-egress",
    /// Packets shorter than usual are dropped.
    BlockShort: "block-short" | "block-shorts" | "block-short-packets",
    /// Everything of this call is logged.
    Debug: "debug" | "debugging",
    /// DTMF tones in the audio are looked for.
    DetectDtmf: "detect-dtmf",
    /// A command is about the direction from one party to another.
    Directional: "directional",
    /// Recordings are thrown away.
    DiscardRecording: "discard-recording",
    /// The audio player starts with the offer.
    EarlyMedia: "early-media",
    /// A command is about what leaves to the party.
    Egress: "egress",
    /// The party is not recorded.
    ExcludeRecording: "exclude-recording",
    /// An unknown call is an error of `delete`.
    Fatal: "fatal",
    /// The offer is part of a larger one (trickled ICE).
    Fragment: "fragment",
    /// `a=rtcp` with its address.
    FullRtcpAttribute: "full-rtcp-attribute",
    /// `a=mid` where there is none.
    GenerateMid: "generate-mid",
    /// `ICE=remove` towards the offerer.
    RejectIce: "ice-reject" | "reject-ice",
    /// A subscription that is inactive.
    Inactive: "inactive",
    /// DTMF can be injected.
    InjectDtmf: "inject-dtmf",
    /// A description that we wrote is not rewritten again.
    LoopProtect: "loop-protect",
    /// A new source takes the stream over.
    MediaHandover: "media-handover",
    /// A subscription sends RTCP back.
    RtcpMirror: "mirror-rtcp" | "rtcp-mirror",
    /// Nothing is sent to a party from which nothing came yet.
    NatWait: "nat-wait",
    /// Codecs stay as they were in a new offer.
    ReuseCodecs: "no-codec-renegotiation" | "reuse-codecs",
    /// A new remote port means a new local one.
    NoPortLatching: "no-port-latching",
    /// No `a=rtcp`.
    NoRtcpAttribute: "no-rtcp-attribute",
    /// Direction attributes stay as they came.
    OriginalSendrecv: "original-sendrecv",
    /// Empty packets open the peer's NAT.
    PierceNat: "pierce-nat",
    /// Local ports stay when the remote port changes.
    PortLatching: "port-latching",
    /// What was learned of the parties is forgotten.
    Reset: "reset",
    /// An answer keeps its first codec only.
    SingleCodec: "single-codec",
    /// The source of the SIP message counts instead of the description's addresses.
    SipSourceAddress: "sip-source-address",
    /// Packets of another source than the learned one are dropped.
    StrictSource: "strict-source",
    /// `a=extmap` goes.
    StripExtmap: "strip-extmap",
    /// ICE candidates may follow later.
    TrickleIce: "trickle-ice",
    /// The description's addresses count: the default.
    TrustAddress: "trust-address",
    /// One-way media is as good as any.
    Unidirectional: "unidirectional",
    /// `delete` with a `to-tag` means that party only.
    ToTag: "to-tag",

    /// The address of `o=` becomes ours.
    ReplaceOrigin: "replace-origin",
    /// The address of the session's `c=` becomes ours.
    ReplaceSessionConnection: "replace-session-connection",
    /// `s=` stays the same towards a party.
    ReplaceSessionName: "replace-session-name",
    /// The version of `o=` is ours: it grows when, and only when, the description changes.
    ReplaceSdpVersion: "replace-sdp-version",
    /// The version grows in any case.
    ForceIncrementSdpVersion: "replace-force-increment-sdp-ver" | "force-increment-sdp-ver",
    /// The user name of `o=` stays the same towards a party.
    ReplaceUsername: "replace-username",
    /// 0.0.0.0 becomes our address.
    ReplaceZeroAddress: "replace-zero-address",

    /// RTCP on the RTP port is offered in any case.
    MuxOffer: "rtcp-mux-offer",
    /// It is offered as if already agreed on.
    MuxRequire: "rtcp-mux-require",
    /// It is accepted of the offerer, but not offered on.
    MuxDemux: "rtcp-mux-demux",
    /// It is accepted of the offerer, and offered on.
    MuxAccept: "rtcp-mux-accept",
    /// It is refused to the offerer.
    MuxReject: "rtcp-mux-reject",

    /// A plain offer becomes one of opportunistic SRTP (RFC 8643).
    OsrtpOffer: "osrtp-offer" | "osrtp-offer-rfc",
    /// A plain offer is doubled, plain and encrypted.
    OsrtpOfferLegacy: "osrtp-offer-legacy",
    /// An opportunistic offer is accepted though the answerer does not.
    OsrtpAcceptRfc: "osrtp-accept-rfc",
    /// A doubled offer is read as an encrypted one.
    OsrtpAcceptLegacy: "osrtp-accept-legacy",

    /// Fax over IP becomes audio.
    T38Decode: "t38-decode" | "t.38-decode",
    /// Audio becomes fax over IP.
    T38Force: "t38-force" | "t.38-force",
    /// A fax gateway ends.
    T38Stop: "t38-stop" | "t.38-stop",

    /// The controller understands `load limit` as a result.
    LoadLimit: "supports-load-limit",
}

const _: () = assert!(COUNT <= u64::BITS as usize);

/// A set of [`Flag`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FlagSet(u64);

impl FlagSet {
    /// Whether `flag` is in it.
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u32) != 0
    }

    /// Adds `flag`.
    pub const fn insert(&mut self, flag: Flag) {
        self.0 |= 1 << flag as u32;
    }
}

impl fmt::Debug for FlagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_set();
        for (i, (_, flag)) in NAMES.iter().enumerate() {
            let first = i == 0 || NAMES[i - 1].1 != *flag;
            if first && self.has(*flag) {
                set.entry(flag);
            }
        }
        set.finish()
    }
}
