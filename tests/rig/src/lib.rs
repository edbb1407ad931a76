//! Starts the protocol peers that stand for AWS on this machine: each on a port that the kernel picks, with its files in a
//! folder of its own, and torn down when it is dropped, whatever happens.
