//! Projects in the directory.

use tributary_model::directory::Project;
use tributary_model::limits::{DIRECTORY_STALE_MAX, REPORT_AHEAD_MAX};
use tributary_model::{AccountId, Day, Directory, ProjectId, RetentionClass, TimestampMs};
use tributary_ports::Objects;

use crate::publish::{ChangeError, Refused, publish};

/// The project that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRequest {
    /// Its name.
    pub project: ProjectId,
    /// The account that owns it.
    pub account: AccountId,
    /// For how long its invocations are kept.
    pub retention: RetentionClass,
    /// Whether only signed reports are taken.
    pub signed_only: bool,
}

/// Adds a project; the same again changes nothing.
///
/// # Errors
/// If there is one of that name with other properties, or the directory can't be changed.
pub async fn add_project(
    objects: &dyn Objects,
    request: &ProjectRequest,
    now: TimestampMs,
) -> Result<Directory, ChangeError> {
    publish(objects, now, |directory| {
        let mut project = Project::new(request.account.clone());
        project.signed_only = request.signed_only;
        if request.retention != RetentionClass::DEFAULT {
            project.retention.insert(FIRST_DAY, request.retention);
        }
        match directory.projects.get(&request.project) {
            None => {
                directory.projects.insert(request.project.clone(), project);
                Ok(())
            }
            Some(old) if is_same(old, &project) => Ok(()),
            Some(_) => Err(Refused(format!("there is a project {} already, with other properties", request.project))),
        }
    })
    .await
}

/// Before any report's day: the class of a new project holds for all its days.
const FIRST_DAY: Day = Day(19_700_101);

fn is_same(old: &Project, new: &Project) -> bool {
    (&old.account, &old.retention, old.signed_only) == (&new.account, &new.retention, new.signed_only)
}

/// Changes for how long a project's invocations are kept, from the day `from` on. Answers the directory.
///
/// # Errors
/// If there is no such project, or `from` is so early that a collector that still holds the old directory may admit a
/// report of that day: then one report could land in two places. Or if the directory can't be changed.
pub async fn change_retention(
    objects: &dyn Objects,
    project: &ProjectId,
    retention: RetentionClass,
    from: Day,
    now: TimestampMs,
) -> Result<Directory, ChangeError> {
    let earliest = earliest_change(now);
    if from < earliest {
        let detail = format!("a changed retention can begin on {earliest} at the earliest, not on {from}");
        return Err(Refused(detail).into());
    }
    publish(objects, now, |directory| {
        project_mut(directory, project)?.retention.insert(from, retention);
        Ok(())
    })
    .await
}

/// The first day of which no collector can have admitted a report by then: a directory may be `DIRECTORY_STALE_MAX`
/// old, and a report `REPORT_AHEAD_MAX` ahead of its arrival.
fn earliest_change(now: TimestampMs) -> Day {
    let ahead_ms = (DIRECTORY_STALE_MAX + REPORT_AHEAD_MAX).as_millis();
    now.plus_ms(i64::try_from(ahead_ms).unwrap_or(i64::MAX)).day().plus_days(1)
}

/// Sets whether a project takes signed reports only.
///
/// # Errors
/// If there is no such project or the directory can't be changed.
pub async fn set_signed_only(
    objects: &dyn Objects,
    project: &ProjectId,
    signed_only: bool,
    now: TimestampMs,
) -> Result<Directory, ChangeError> {
    publish(objects, now, |directory| {
        project_mut(directory, project)?.signed_only = signed_only;
        Ok(())
    })
    .await
}

pub(crate) fn project_mut<'a>(directory: &'a mut Directory, project: &ProjectId) -> Result<&'a mut Project, Refused> {
    directory.projects.get_mut(project).ok_or_else(|| Refused(format!("there is no project {project}")))
}

#[cfg(test)]
mod tests {
    use tributary_model::directory::OBJECT_KEY;

    use super::*;
    use crate::doubles::{MemoryObjects, NOW, directory_object, read_directory};

    fn request(days: u16) -> ProjectRequest {
        ProjectRequest {
            project: ProjectId::new("shop").expect("a project"),
            account: AccountId::new("acme").expect("an account"),
            retention: RetentionClass::from_days(days).expect("a class"),
            signed_only: false,
        }
    }

    fn empty() -> MemoryObjects {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        objects
    }

    #[tokio::test]
    async fn a_new_project_has_its_class_on_all_days() {
        let objects = empty();
        add_project(&objects, &request(90), NOW).await.expect("added");
        add_project(&objects, &request(90), NOW).await.expect("the same again");
        let project = read_directory(&objects).projects.remove(&request(90).project).expect("there");
        assert_eq!(project.retention_on(NOW.plus_ms(-8 * 86_400_000).day()).days(), 90);
        assert_eq!(objects.puts(), 1);
        let error = add_project(&objects, &request(30), NOW).await.expect_err("another class");
        assert_eq!(error.to_string(), "there is a project shop already, with other properties");
    }

    #[tokio::test]
    async fn a_changed_class_begins_when_no_collector_can_hold_the_old_directory() {
        let objects = empty();
        let project = request(30).project;
        add_project(&objects, &request(30), NOW).await.expect("added");
        let class = RetentionClass::from_days(365).expect("a class");
        let now: TimestampMs = "2026-11-21T23:44:59.999Z".parse().expect("a time");
        for (now, from, earliest) in [(now, 20_261_122, 20_261_123), (now.plus_ms(1), 20_261_123, 20_261_124)] {
            let error = change_retention(&objects, &project, class, Day(from), now).await.expect_err("too early");
            let expected = format!("a changed retention can begin on {earliest} at the earliest, not on {from}");
            assert_eq!(error.to_string(), expected);
            change_retention(&objects, &project, class, Day(earliest), now).await.expect("changed");
        }
        let none = ProjectId::new("none").expect("a name");
        let error = change_retention(&objects, &none, class, Day(20_270_101), now).await.expect_err("no project");
        assert_eq!(error.to_string(), "there is no project none");
    }

    #[tokio::test]
    async fn signed_only_is_set_and_taken_back() {
        let objects = empty();
        let project = request(30).project;
        add_project(&objects, &request(30), NOW).await.expect("added");
        for signed_only in [true, false] {
            let directory = set_signed_only(&objects, &project, signed_only, NOW).await.expect("changed");
            assert_eq!(directory.projects[&project].signed_only, signed_only);
        }
    }
}
