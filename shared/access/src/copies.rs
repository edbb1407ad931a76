//! The directory's copies: each region's functions read one in a bucket of their own region.
//!
//! A change is made to the core's directory alone ([`publish`](crate::publish)); the copies follow. Bringing a copy up to
//! date again changes nothing, so whoever failed or was killed half-way is made good by the next one who does it: an
//! operator's next command, or a function on a schedule. A copy is replaced whole, and only by a later version, whoever
//! else writes it meanwhile.

use tributary_model::Directory;
use tributary_model::directory::OBJECT_KEY;
use tributary_model::limits::PUBLISH_ATTEMPTS_MAX;
use tributary_ports::objects::Condition;
use tributary_ports::{Objects, PortError, PortErrorKind};

use crate::directory::DirectoryError;

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// It was behind, and has this version now.
    Written(u64),
    /// It had this version already.
    AlreadyThere(u64),
}

/// Brings the directory in `copy` up to the one in `core`.
///
/// # Errors
/// If either store fails, the core holds no directory, or the copy is later than the core's, which somebody has to look
/// into: the core's may have been put back from a backup. The copy is then as it was.
pub async fn copy_directory(core: &dyn Objects, copy: &dyn Objects) -> Result<Copied, DirectoryError> {
    for _ in 0..PUBLISH_ATTEMPTS_MAX {
        let bytes = core.get(OBJECT_KEY).await?.ok_or(DirectoryError::Missing)?.bytes;
        let wanted = version(&bytes)?;
        let condition = match copy.get(OBJECT_KEY).await? {
            None => Condition::Absent,
            // One that can't be read serves nobody; it is replaced.
            Some(there) => match version(&there.bytes) {
                Ok(found) if found == wanted => return Ok(Copied::AlreadyThere(wanted)),
                Ok(found) if found > wanted => return Err(DirectoryError::WentBack { held: found, found: wanted }),
                _ => Condition::Unchanged(there.etag),
            },
        };
        match copy.put(OBJECT_KEY, bytes, condition).await {
            Ok(_) => return Ok(Copied::Written(wanted)),
            Err(error) if error.kind == PortErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    let detail = format!("the copy was changed by others {PUBLISH_ATTEMPTS_MAX} times in between");
    Err(PortError::new(PortErrorKind::Conflict, "directory.copy", detail).into())
}

fn version(bytes: &[u8]) -> Result<u64, DirectoryError> {
    let directory: Directory = serde_json::from_slice(bytes).map_err(DirectoryError::Unreadable)?;
    Ok(directory.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{MemoryObjects, directory_object, read_directory};

    fn store(version: u64) -> MemoryObjects {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory { version, ..Directory::default() }));
        objects
    }

    #[tokio::test]
    async fn a_copy_follows_and_is_then_left_alone() {
        let core = store(7);
        for copy in [MemoryObjects::default(), store(6)] {
            assert_eq!(copy_directory(&core, &copy).await.expect("copied"), Copied::Written(7));
            assert_eq!(copy_directory(&core, &copy).await.expect("there"), Copied::AlreadyThere(7));
            assert_eq!((read_directory(&copy).version, copy.puts()), (7, 1));
        }
    }

    #[tokio::test]
    async fn a_later_copy_is_not_taken_back() {
        let (core, copy) = (store(7), store(8));
        let error = copy_directory(&core, &copy).await.expect_err("later");
        assert_eq!(error.to_string(), "the directory went back from version 8 to 7");
        assert_eq!((read_directory(&copy).version, copy.puts()), (8, 0));
    }

    #[tokio::test]
    async fn a_slower_writer_does_not_replace_what_a_faster_one_wrote() {
        let (core, copy) = (store(7), store(6));
        let faster = directory_object(&Directory { version: 8, ..Directory::default() });
        copy.meddle_before_next_put(OBJECT_KEY, faster);
        assert!(matches!(copy_directory(&core, &copy).await, Err(DirectoryError::WentBack { held: 8, found: 7 })));
        let same = directory_object(&Directory { version: 7, ..Directory::default() });
        let copy = store(6);
        copy.meddle_before_next_put(OBJECT_KEY, same);
        assert_eq!(copy_directory(&core, &copy).await.expect("there"), Copied::AlreadyThere(7));
    }

    #[tokio::test]
    async fn a_damaged_copy_is_replaced_and_a_damaged_core_copied_nowhere() {
        let (core, copy) = (store(7), store(6));
        copy.place(OBJECT_KEY, "{".into());
        assert_eq!(copy_directory(&core, &copy).await.expect("copied"), Copied::Written(7));
        core.place(OBJECT_KEY, "{".into());
        assert!(matches!(copy_directory(&core, &copy).await, Err(DirectoryError::Unreadable(_))));
        core.remove(OBJECT_KEY);
        assert!(matches!(copy_directory(&core, &copy).await, Err(DirectoryError::Missing)));
        assert_eq!(read_directory(&copy).version, 7);
    }

    #[tokio::test]
    async fn endless_conflicts_end() {
        let (core, copy) = (store(7), store(6));
        copy.refuse_every_put();
        let error = copy_directory(&core, &copy).await.expect_err("conflicts");
        assert!(matches!(error, DirectoryError::Port(ref port) if port.kind == PortErrorKind::Conflict), "{error}");
    }
}
