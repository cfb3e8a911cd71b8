//! Cgroups: how much of the machine a group of processes may use (cgroups(7)).
