//! The six ports on AWS. Every failure becomes a [`PortError`](tributary_ports::PortError) by status and error code,
//! never by searching text.
