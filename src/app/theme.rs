//! What the desktop prefers: light or dark, and whether things may move. winit does not tell it on Linux, so the portal
//! is asked.

use super::window::Window;
use eframe::egui;

/// A preference of the desktop's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preference {
    /// Light or dark.
    Theme(egui::Theme),
    /// Whether motion is to be reduced.
    ReducedMotion(bool),
}

impl Window {
    /// Follows the desktop's preference, on a thread that ends with the connection. Without a portal nothing happens.
    pub(super) fn follow_desktop_theme(&mut self, ctx: &egui::Context) {
        #[cfg(target_os = "linux")]
        {
            let (tell, news) = crossbeam_channel::unbounded();
            let ctx = ctx.clone();
            let follow = move || {
                let told = portal::follow(|preference| {
                    let alive = tell.send(preference).is_ok();
                    ctx.request_repaint_of(egui::ViewportId::ROOT);
                    alive
                });
                if let Err(error) = told {
                    tracing::debug!(%error, "the desktop's theme is not known");
                }
            };
            if std::thread::Builder::new().name("desktop-theme".into()).spawn(follow).is_ok() {
                self.desktop_news = Some(news);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = ctx;
    }
}

#[cfg(target_os = "linux")]
mod portal {
    use super::Preference;
    use eframe::egui::Theme;
    use zbus::blocking::{Connection, Proxy};
    use zbus::zvariant::{OwnedValue, Value};

    /// What is asked for, as namespace and key. GNOME's own switch stands beside the newer common one.
    const ASKED: [(&str, &str); 3] = [
        ("org.freedesktop.appearance", "color-scheme"),
        ("org.freedesktop.appearance", "reduced-motion"),
        ("org.gnome.desktop.interface", "enable-animations"),
    ];

    /// What a setting says. `color-scheme`: 1 = dark, 2 = light, 0 = no preference; `reduced-motion`: 1 = reduced.
    pub(super) fn preference(key: &str, value: &Value<'_>) -> Option<Preference> {
        let value = if let Value::Value(inner) = value { inner } else { value };
        match (key, value) {
            ("color-scheme", Value::U32(1)) => Some(Preference::Theme(Theme::Dark)),
            ("color-scheme", Value::U32(2)) => Some(Preference::Theme(Theme::Light)),
            ("reduced-motion", Value::U32(number)) => Some(Preference::ReducedMotion(*number == 1)),
            ("enable-animations", Value::Bool(on)) => Some(Preference::ReducedMotion(!on)),
            _ => None,
        }
    }

    /// Tells the preferences now and whenever one changes, until `tell` says that nobody listens.
    pub(super) fn follow(tell: impl Fn(Preference) -> bool) -> zbus::Result<()> {
        let connection = Connection::session()?;
        let settings = Proxy::new(
            &connection,
            "org.freedesktop.portal.Desktop",
            "/org/freedesktop/portal/desktop",
            "org.freedesktop.portal.Settings",
        )?;
        // Subscribed before they are read, so that no change falls between.
        let changes = settings.receive_signal("SettingChanged")?;
        for (namespace, key) in ASKED {
            // A desktop need not know each of them.
            let now: Option<OwnedValue> = settings.call("ReadOne", &(namespace, key)).ok();
            if let Some(preference) = now.and_then(|now| preference(key, &now))
                && !tell(preference)
            {
                return Ok(());
            }
        }
        for change in changes {
            let body = change.body();
            let (namespace, key, value): (String, String, Value<'_>) = body.deserialize()?;
            if ASKED.contains(&(namespace.as_str(), key.as_str()))
                && let Some(preference) = preference(&key, &value)
                && !tell(preference)
            {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Preference::{ReducedMotion, Theme};
    use super::portal::preference;
    use eframe::egui;
    use zbus::zvariant::Value;

    #[test]
    fn what_desktops_say_is_understood() {
        for (key, value, told) in [
            ("color-scheme", Value::U32(1), Some(Theme(egui::Theme::Dark))),
            ("color-scheme", Value::U32(2), Some(Theme(egui::Theme::Light))),
            ("color-scheme", Value::U32(0), None),
            ("reduced-motion", Value::U32(1), Some(ReducedMotion(true))),
            ("reduced-motion", Value::U32(0), Some(ReducedMotion(false))),
            ("enable-animations", Value::Bool(false), Some(ReducedMotion(true))),
            ("enable-animations", Value::Value(Box::new(Value::Bool(true))), Some(ReducedMotion(false))),
            ("enable-animations", Value::U32(1), None),
            ("contrast", Value::U32(1), None),
        ] {
            assert_eq!(preference(key, &value), told, "{key} {value:?}");
        }
    }
}
