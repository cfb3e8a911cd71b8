//! The unpacker, given archives that want to do harm, and lawful ones that are odd.

pub mod build;
mod corpus;
mod hostile;
mod lawful;
mod sandbox;
