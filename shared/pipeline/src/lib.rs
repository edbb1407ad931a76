//! decode, admit, pack/unpack, normalize, plan: pure steps without IO, clock or async.
