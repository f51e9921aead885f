//! Choosing indexes over a cost matrix.

mod by_hand;
mod compared;
mod random;
