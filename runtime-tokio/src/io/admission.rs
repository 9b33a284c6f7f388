//! Limits on connections, over all shards. Asked when a connection opens and when it goes, never for a message.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections there are.
#[derive(Debug)]
pub(crate) struct Admission {
    total_max: usize,
    per_source_max: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

impl Admission {
    pub(crate) fn new(total_max: usize, per_source_max: usize) -> Arc<Self> {
        Arc::new(Self { total_max, per_source_max, counts: Mutex::default() })
    }

    /// A place for one connection; `source` is whoever opened it to us, `None` if we open it.
    pub(crate) fn admit(self: &Arc<Self>, source: Option<IpAddr>) -> Option<Permit> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.total_max {
            return None;
        }
        if let Some(source) = source {
            let held = counts.by_source.get(&source).copied().unwrap_or(0);
            if held >= self.per_source_max {
                return None;
            }
            counts.by_source.insert(source, held + 1);
        }
        counts.total += 1;
        Some(Permit { admission: Arc::clone(self), source })
    }
}

/// A place that a connection holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    source: Option<IpAddr>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        let Some(source) = self.source else { return };
        match counts.by_source.get_mut(&source) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                counts.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_refuses_by_itself_and_places_come_back() {
        let admission = Admission::new(3, 2);
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = admission.admit(Some(a)).unwrap();
        let _second = admission.admit(Some(a)).unwrap();
        assert!(admission.admit(Some(a)).is_none(), "per source");
        let _third = admission.admit(None).unwrap();
        assert!(admission.admit(Some(b)).is_none(), "in all");
        drop(first);
        assert!(admission.admit(Some(a)).is_some());
        assert!(admission.admit(Some(b)).is_some());
    }
}
