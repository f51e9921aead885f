//! The calculation through its public interface: plans as tables, properties over many random inputs, and the
//! formulas of the queue beside a simulation of it.

mod plans;
mod properties;
mod simulation;
