//! Whole clouds as real processes: what a restart, a SIGKILL and a missing hypervisor do to them.

mod clients;
mod full;
mod joining;
mod many;
mod process;
mod restart;
mod roles;
mod shell;
