//! The desktop's light or dark preference. winit does not tell it on Linux, so the portal is asked.

use super::window::Window;
use eframe::egui;

impl Window {
    /// Follows the desktop's preference, on a thread that ends with the connection. Without a portal nothing happens.
    pub(super) fn follow_desktop_theme(&mut self, ctx: &egui::Context) {
        #[cfg(target_os = "linux")]
        {
            let (tell, news) = crossbeam_channel::unbounded();
            let ctx = ctx.clone();
            let follow = move || {
                let told = portal::follow(|theme| {
                    let alive = tell.send(theme).is_ok();
                    ctx.request_repaint_of(egui::ViewportId::ROOT);
                    alive
                });
                if let Err(error) = told {
                    tracing::debug!(%error, "the desktop's theme is not known");
                }
            };
            if std::thread::Builder::new().name("desktop-theme".into()).spawn(follow).is_ok() {
                self.theme_news = Some(news);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = ctx;
    }
}

#[cfg(target_os = "linux")]
mod portal {
    use eframe::egui::Theme;
    use zbus::blocking::{Connection, Proxy};
    use zbus::zvariant::{OwnedValue, Value};

    const NAMESPACE: &str = "org.freedesktop.appearance";
    const KEY: &str = "color-scheme";

    /// 1 = dark, 2 = light, 0 = no preference (org.freedesktop.portal.Settings).
    fn theme(number: u32) -> Option<Theme> {
        match number {
            1 => Some(Theme::Dark),
            2 => Some(Theme::Light),
            _ => None,
        }
    }

    /// Tells the preference now and whenever it changes, until `tell` says that nobody listens.
    pub(super) fn follow(tell: impl Fn(Theme) -> bool) -> zbus::Result<()> {
        let connection = Connection::session()?;
        let settings = Proxy::new(
            &connection,
            "org.freedesktop.portal.Desktop",
            "/org/freedesktop/portal/desktop",
            "org.freedesktop.portal.Settings",
        )?;
        // Subscribed before it is read, so that no change falls between.
        let changes = settings.receive_signal("SettingChanged")?;
        let now: OwnedValue = settings.call("ReadOne", &(NAMESPACE, KEY))?;
        if let Some(theme) = u32::try_from(now).ok().and_then(theme)
            && !tell(theme)
        {
            return Ok(());
        }
        for change in changes {
            let body = change.body();
            let (namespace, key, value): (String, String, Value<'_>) = body.deserialize()?;
            if namespace == NAMESPACE
                && key == KEY
                && let Some(theme) = u32::try_from(value).ok().and_then(theme)
                && !tell(theme)
            {
                return Ok(());
            }
        }
        Ok(())
    }
}
