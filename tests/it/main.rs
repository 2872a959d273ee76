//! Tests through the front door, and of rules that hold for the whole house.

mod answers;
mod plans;
