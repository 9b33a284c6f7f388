//! Stores of fixed capacity: they answer when they are full and never grow past what they were given.
