//! Who may do what: the directory, tokens, and signed reports.
