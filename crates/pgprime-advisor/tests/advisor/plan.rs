//! Plans: reading them, the problems found in them, and how they are shown.

mod cases;
mod figures;
mod live;
mod mutated;
mod pasted;
mod rules;
mod same_tree;
mod shown;
