//! Where the object store holds replays.

/// What the keys of the markers of replays under way begin with: whoever ends records before their time looks here first.
pub const ACTIVE: &str = "replays-active/";
