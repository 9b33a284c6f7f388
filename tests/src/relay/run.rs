//! One case, put to one relay; two outcomes, compared.

use super::cases::{Body, Case};
use super::{Normal, bodies, differences};
use crate::harness::{Ng, Value, token};

/// What a relay made of a case: the lines of each reply.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One list a step.
    pub steps: Vec<Vec<String>>,
}

/// Puts `case` to the relay behind `ng`, under a Call-ID of its own.
///
/// # Panics
/// If the relay does not answer.
#[must_use]
pub fn run(ng: &Ng, case: &Case) -> Outcome {
    let call_id = format!("{}-{}", case.name.replace([' ', '/'], "-"), token());
    let mut normal = Normal::default();
    let mut last = String::new();
    let mut steps = Vec::new();
    for step in &case.steps {
        let mut request = Value::dict().with("call-id", call_id.as_str());
        let body = match &step.body {
            Body::Given(body) => Some(body.clone()),
            Body::Answer(address) => Some(bodies::answer_to(&last, address)),
            Body::None => None,
        };
        if let Some(body) = &body {
            normal.sent(body);
            request = request.with("sdp", body.as_str());
        }
        for (key, value) in step.entries.entries() {
            request = request.with(key, value.clone());
        }
        let reply = ng.command(step.command, request);
        if let Some(body) = reply.text("sdp") {
            last = body.to_owned();
        }
        let lines = normal.reply(&reply).into_iter().map(|line| line.replace(&call_id, "CALL-ID"));
        steps.push(lines.collect());
    }
    // Neither relay is to fill up.
    let _ = ng.command("delete", Value::dict().with("call-id", call_id).with("delete delay", 0));
    Outcome { steps }
}

/// Where `ours` differs from `theirs` by more than is documented: nothing, or a text for people.
#[must_use]
pub fn compare(case: &Case, theirs: &Outcome, ours: &Outcome, used: &mut differences::Used) -> Option<String> {
    for (at, step) in case.steps.iter().enumerate() {
        let (theirs, ours) = differences::level(case, at, &theirs.steps[at], &ours.steps[at], used);
        if theirs != ours {
            let mut text = format!("{}, step {} ({} {:?}):\n", case.name, at + 1, step.command, step.entries);
            for line in theirs.iter().filter(|line| !ours.contains(line)) {
                text.push_str(&format!("  - {line}\n"));
            }
            for line in ours.iter().filter(|line| !theirs.contains(line)) {
                text.push_str(&format!("  + {line}\n"));
            }
            if theirs.iter().all(|line| ours.contains(line)) && ours.iter().all(|line| theirs.contains(line)) {
                text.push_str(&format!("  - {theirs:#?}\n  + {ours:#?}\n"));
            }
            return Some(text);
        }
    }
    None
}
