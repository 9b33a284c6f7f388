//! Where actions go.

/// Takes the actions of a machine in the order in which they are emitted.
pub trait Sink<A> {
    /// Takes one action. Never calls back into the machine that emits.
    fn emit(&mut self, action: A);
}

impl<A, F: FnMut(A)> Sink<A> for F {
    fn emit(&mut self, action: A) {
        self(action);
    }
}
