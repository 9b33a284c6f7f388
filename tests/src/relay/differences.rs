//! What differs from rtpengine 10.5, each with its reason. What is not listed here is the same, but for the order of
//! attributes: rtpengine writes them anew, here they stay where they came.

use std::collections::BTreeSet;

use super::Case;
use crate::harness::Value;

/// A difference that is meant.
#[derive(Clone, Copy)]
pub struct Difference {
    /// What differs.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    level: fn(&Step<'_>, &mut Vec<String>, &mut Vec<String>),
}

/// One step of a case.
struct Step<'c> {
    case: &'c Case,
    at: usize,
}

impl Step<'_> {
    fn is(&self, part: &str) -> bool {
        self.case.name.contains(part)
    }

    fn command(&self) -> &str {
        self.case.steps[self.at].command
    }

    fn entry(&self, key: &str) -> Option<&Value> {
        self.case.steps[self.at].entries.at(key)
    }
}

/// All of them.
pub const ALL: &[Difference] = &[
    Difference {
        what: "the static payload types of a=rtpmap",
        why: "rtpengine names those that the description does not name (a=rtpmap:0 PCMU/8000); here what nobody asked to \
              change goes out byte for byte, and RFC 3551 names them",
        level: |_, theirs, ours| theirs.retain(|line| !is_static_map(line) || ours.contains(line)),
    },
    Difference {
        what: "a=sendrecv",
        why: "rtpengine writes it where no direction is said; it is the default of RFC 8866 §6.7",
        level: |_, theirs, ours| drop_unless_both("a=sendrecv", theirs, ours),
    },
    Difference {
        what: "a direction of the whole session",
        why: "rtpengine moves it to the streams; here it stays where it came",
        level: |step, theirs, ours| {
            if step.is("session direction") {
                theirs.sort();
                ours.sort();
            }
        },
    },
    Difference {
        what: "attributes of a refused stream (port 0)",
        why: "rtpengine takes them out; here what nobody asked to change goes out byte for byte",
        level: |_, theirs, ours| {
            drop_of_refused(theirs);
            drop_of_refused(ours);
        },
    },
    Difference {
        what: "a=ptime in an answer",
        why: "rtpengine writes that of the offer into an answer that has none; here the answerer's word counts",
        level: |step, theirs, ours| {
            if step.command() == "answer" {
                drop_unless_both("a=ptime:20", theirs, ours);
            }
        },
    },
    Difference {
        what: "a=group:BUNDLE",
        why: "rtpengine 10.5 takes bundles apart; here they pass, as in its later versions",
        level: |_, _, ours| ours.retain(|line| !line.starts_with("a=group:BUNDLE")),
    },
    Difference {
        what: "F8 and NULL suites of SRTP",
        why: "rtpengine offers them to everybody; F8 is not supported here, and encryption is given up only on request",
        level: |_, theirs, _| theirs.retain(|line| !line.contains(" F8_") && !line.contains(" NULL_")),
    },
    Difference {
        what: "SRTP keys under session parameters that a flag changes",
        why: "rtpengine offers the received key on; here the relay has a key of its own then, as packets cannot pass as they are",
        level: |step, theirs, ours| {
            if step.is("encrypted") || step.is("unauthenticated") {
                mask_keys(theirs);
                mask_keys(ours);
            }
        },
    },
    Difference {
        what: "the odd port for RTP",
        why: "rtpengine sometimes gives RTP the port of RTCP where both share one; here RTP is always on the even one",
        level: |_, theirs, _| even_ports(theirs),
    },
    Difference {
        what: "direction in an answer",
        why: "rtpengine 10.5 follows it, although its documentation says that the first offer counts; here it does",
        level: |step, theirs, ours| {
            if step.command() == "answer" && step.entry("direction").is_some() {
                for lines in [theirs, ours] {
                    lines.retain(|line| !line.starts_with("c=") && !line.starts_with("o="));
                }
            }
        },
    },
    Difference {
        what: "flags that are newer than rtpengine 10.5",
        why: "here they do what the present documentation says: sdp-attr, SDES-nonew, SDES-only, SDES-order, \
              force-increment-sdp-ver",
        level: |step, theirs, ours| {
            if step.is("newer: ") {
                theirs.retain(|line| line.starts_with("result"));
                ours.retain(|line| line.starts_with("result"));
            }
        },
    },
    Difference {
        what: "Unknown call-ID",
        why: "rtpengine spells it in two ways; here it is one",
        level: |_, theirs, _| replace(theirs, "Unknown call-ID", "Unknown call-id"),
    },
    Difference {
        what: "the role in ICE among the flags of a stream",
        why: "there is no ICE agent here yet",
        level: |_, theirs, ours| {
            for lines in [theirs, ours] {
                lines.retain(|line| !line.contains("/flags has ") && !line.ends_with("= ICE controlling"));
            }
        },
    },
    Difference {
        what: "a host name or nonsense in c=",
        why: "rtpengine cannot read the description, here it can, but knows no address",
        level: |step, theirs, _| {
            if step.is("bad address") {
                replace(theirs, "Failed to parse SDP", "Incomplete SDP specification");
            }
        },
    },
    Difference {
        what: "our ports when the other side moves",
        why: "rtpengine takes a new port towards a party when its peer has another address, unless port-latching is set; \
              here a stream keeps its ports as long as the call lasts",
        level: |step, theirs, ours| {
            const MOVED: [&str; 7] = [
                "re-offer, other port",
                "re-offer, other address",
                "re-offer of the callee",
                "direction remembered for the callee",
                "two branches, ",
                "answer with the tags the wrong way round",
                "fax in place",
            ];
            if step.at > 0 && MOVED.iter().any(|name| step.case.name.starts_with(name)) {
                mask_ports(theirs);
                mask_ports(ours);
            }
        },
    },
    Difference {
        what: "the tags of suites that are added to an offer without one of its own",
        why: "rtpengine gives the tag of the suite that went to another one; here no tag means two things",
        level: |step, theirs, ours| {
            if step.is("no-suite") {
                mask_tags(theirs);
                mask_tags(ours);
            }
        },
    },
    Difference {
        what: "c= where all streams are refused",
        why: "rtpengine writes its own address; here nobody will send anything there",
        level: |step, theirs, ours| {
            if step.is("stream turned off") {
                theirs.retain(|line| !line.starts_with("c="));
                ours.retain(|line| !line.starts_with("c="));
            }
        },
    },
    Difference {
        what: "telephone events of several clock rates",
        why: "rtpengine keeps and drops them by rules of its own, whatever the flags say of them; here they are codecs like others",
        level: |step, theirs, ours| {
            const EVENTS: [&str; 5] =
                ["strip two", "strip with rate", "strip event of a rate", "strip all but", "single codec answer"];
            if EVENTS.iter().any(|name| step.case.name == format!("codecs: {name}")) {
                theirs.retain(|line| line.starts_with("result"));
                ours.retain(|line| line.starts_with("result"));
            }
        },
    },
    Difference {
        what: "codec-accept, and ptime among the formats",
        why: "they ask for transcoding, which is not done here",
        level: |step, theirs, ours| {
            if step.command() == "answer" && (step.is("codec accept") || step.is("several: ptime")) {
                theirs.retain(|line| line.starts_with("result"));
                ours.retain(|line| line.starts_with("result"));
            }
        },
    },
    Difference {
        what: "deletion of one branch",
        why: "rtpengine 10.5 still shows the branch afterwards; here it goes at once, with its ports",
        level: |step, theirs, ours| {
            if step.is("delete branch by branch") && step.at > 1 {
                theirs.clear();
                ours.clear();
            }
        },
    },
    Difference {
        what: "0.0.0.0 under media address and address family",
        why: "rtpengine writes another address; here hold stays hold unless replace=zero-address",
        level: |step, theirs, ours| {
            if step.is("zero address: media address") || step.is("zero address: v6 answers") {
                theirs.retain(|line| !line.starts_with("c="));
                ours.retain(|line| !line.starts_with("c="));
            }
        },
    },
];

fn replace(lines: &mut [String], from: &str, to: &str) {
    lines.iter_mut().for_each(|line| *line = line.replace(from, to));
}

/// Takes the keys out of `a=crypto`.
fn mask_keys(lines: &mut [String]) {
    for line in lines.iter_mut().filter(|line| line.starts_with("a=crypto:")) {
        let words = line.split(' ').map(|word| if word.starts_with("inline:") { "inline:" } else { word });
        *line = words.collect::<Vec<_>>().join(" ");
    }
}

fn mask_tags(lines: &mut [String]) {
    for line in lines.iter_mut().filter(|line| line.starts_with("a=crypto:")) {
        *line = line.split_once(' ').map_or_else(String::new, |(_, rest)| format!("a=crypto:{rest}"));
    }
    lines.sort();
}

fn mask_ports(lines: &mut [String]) {
    for line in lines {
        let words = line.split(' ').map(|word| {
            if word.contains("PORT") { word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '+') } else { word }
        });
        *line = words.collect::<Vec<_>>().join(" ");
    }
}

/// Moves streams whose RTP is on an odd port to the even one.
fn even_ports(lines: &mut [String]) {
    let mut odd = None;
    for line in lines {
        if line.starts_with("m=") {
            odd = line.split(' ').nth(1).filter(|port| port.ends_with("+1")).map(str::to_owned);
        }
        if let Some(odd) = &odd {
            *line = line.replace(odd.as_str(), odd.trim_end_matches("+1"));
        }
    }
}

fn is_static_map(line: &str) -> bool {
    let number = line.strip_prefix("a=rtpmap:").and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse::<u8>().ok()).is_some_and(|number| number < 96)
}

/// Takes `line` out of both, section by section where one of them does not have it. Sections are as many on both sides.
fn drop_unless_both(line: &str, theirs: &mut Vec<String>, ours: &mut Vec<String>) {
    let count = |lines: &[String]| lines.iter().filter(|own| *own == line).count();
    if count(theirs) != count(ours) {
        theirs.retain(|own| own != line);
        ours.retain(|own| own != line);
    }
}

fn drop_of_refused(lines: &mut Vec<String>) {
    let mut refused = false;
    lines.retain(|line| {
        if line.starts_with("m=") {
            refused = line.split(' ').nth(1) == Some("0");
        }
        !(refused && (line.starts_with("a=") || line.starts_with("c=") || line.starts_with("b=")))
    });
}

/// Which differences were met.
#[derive(Debug, Default)]
pub struct Used(BTreeSet<&'static str>);

impl Used {
    /// Those that were not.
    #[must_use]
    pub fn unused(&self) -> Vec<&'static str> {
        ALL.iter().map(|difference| difference.what).filter(|what| !self.0.contains(what)).collect()
    }
}

/// The lines of both replies to one step, without what is documented.
#[must_use]
pub fn level(
    case: &Case,
    at: usize,
    theirs: &[String],
    ours: &[String],
    used: &mut Used,
) -> (Vec<String>, Vec<String>) {
    let (mut theirs, mut ours) = (theirs.to_vec(), ours.to_vec());
    for difference in ALL {
        let before = (theirs.clone(), ours.clone());
        (difference.level)(&Step { case, at }, &mut theirs, &mut ours);
        if before != (theirs.clone(), ours.clone()) {
            used.0.insert(difference.what);
        }
    }
    (theirs, ours)
}
