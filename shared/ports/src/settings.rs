//! Page sizes and concurrency of the stores, as they were chosen last.

use std::sync::{Mutex, PoisonError};

use tributary_model::limits::{SETTINGS_ATTEMPTS_MAX, SETTINGS_REFRESH};
use tributary_model::store_settings::{Chosen, SETTINGS_KEY, Setting};
use tributary_model::{StoreSettings, TimestampMs};

use crate::{Kept, Objects, PortError, PortErrorKind};

/// The settings of a process, which its adapters look at and whoever has a clock refreshes. Until then they are the
/// defaults.
#[derive(Debug, Default)]
pub struct LiveSettings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    current: StoreSettings,
    asked_at: Option<TimestampMs>,
}

impl LiveSettings {
    /// Settings that are otherwise than the defaults until they are refreshed.
    #[must_use]
    pub const fn new(current: StoreSettings) -> Self {
        Self(Mutex::new(State { current, asked_at: None }))
    }

    /// The settings as they were read last.
    #[must_use]
    pub fn current(&self) -> StoreSettings {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).current
    }

    /// Reads them again if that is due: once in [`SETTINGS_REFRESH`], whether or not it succeeds.
    ///
    /// # Errors
    /// `Invalid` if the object is not one of settings; otherwise bad luck. The settings stay as they were.
    pub async fn refresh(&self, objects: &dyn Objects, now: TimestampMs) -> Result<(), PortError> {
        {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.asked_at.is_some_and(|asked_at| now < asked_at.plus(SETTINGS_REFRESH)) {
                return Ok(());
            }
            state.asked_at = Some(now);
        }
        let chosen = chosen(objects).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).current = StoreSettings::of(&chosen);
        Ok(())
    }
}

/// What was chosen.
///
/// # Errors
/// `Invalid` if the object is not one of settings; otherwise bad luck.
pub async fn chosen(objects: &dyn Objects) -> Result<Chosen, PortError> {
    let kept = Kept::<Chosen>::read(objects, SETTINGS_KEY.to_owned()).await?;
    Ok(kept.map(|kept| kept.value).unwrap_or_default())
}

/// Chooses a value for a setting; none takes the choice back, so that the default holds. Others may choose at the same time.
///
/// # Errors
/// `Invalid` for a value out of the setting's range, or if the object is not one of settings; otherwise bad luck.
pub async fn choose(objects: &dyn Objects, setting: &Setting, value: Option<usize>) -> Result<(), PortError> {
    if let Some(value) = value.filter(|value| !setting.range.contains(value)) {
        let (least, most) = (setting.range.start(), setting.range.end());
        let detail = format!("{} is a whole number from {least} to {most}, not {value}", setting.name);
        return Err(PortError::new(PortErrorKind::Invalid, "settings.choose", detail));
    }
    let mut attempts = 1;
    loop {
        let kept = Kept::<Chosen>::read(objects, SETTINGS_KEY.to_owned()).await?;
        let mut chosen = kept.as_ref().map(|kept| kept.value.clone()).unwrap_or_default();
        match value {
            Some(value) => chosen.insert(setting.name.to_owned(), value),
            None => chosen.remove(setting.name),
        };
        match Kept::replace(kept, objects, SETTINGS_KEY.to_owned(), chosen).await {
            Err(error) if error.kind == PortErrorKind::Conflict && attempts < SETTINGS_ATTEMPTS_MAX => attempts += 1,
            written => return written.map(drop),
        }
    }
}
