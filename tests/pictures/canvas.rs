//! Draws what a window under test shows, through the renderer that the program has (egui_glow), without a display.

use eframe::egui;
use egui_glow::glow::{self, HasContext as _};
use egui_kittest::{Harness, TestRenderer};
use glutin::api::egl::config::Config;
use glutin::api::egl::context::PossiblyCurrentContext;
use glutin::api::egl::device::Device;
use glutin::api::egl::display::Display;
use glutin::api::egl::surface::Surface;
use glutin::config::{ConfigSurfaceTypes, ConfigTemplateBuilder};
use glutin::context::ContextAttributesBuilder;
use glutin::display::GlDisplay as _;
use glutin::prelude::*;
use glutin::surface::{PbufferSurface, SurfaceAttributesBuilder};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// No picture is larger.
const MOST: [u32; 2] = [2560, 1600];

/// Keeps what a harness hands to its renderer, for one picture at the end.
#[derive(Clone, Default)]
pub(crate) struct Textures(Rc<RefCell<egui::TexturesDelta>>);

impl TestRenderer for Textures {
    fn handle_delta(&mut self, delta: &mut egui::TexturesDelta) {
        self.0.borrow_mut().append(std::mem::take(delta));
    }
}

impl Drop for Textures {
    fn drop(&mut self) {
        // egui panics when textures are forgotten that were never uploaded.
        if Rc::strong_count(&self.0) == 1 {
            self.0.borrow_mut().clear();
        }
    }
}

/// A picture: width, height, and three bytes a pixel.
pub(crate) struct Picture {
    pub(crate) size: [u32; 2],
    pub(crate) rgb: Vec<u8>,
}

/// A drawing surface of OpenGL that no display shows.
pub(crate) struct Canvas {
    gl: Arc<glow::Context>,
    _context: PossiblyCurrentContext,
    _surface: Surface<PbufferSurface>,
}

impl Canvas {
    /// `Err` = why this machine has none.
    pub(crate) fn new() -> Result<Self, String> {
        let devices = Device::query_devices().map_err(|error| format!("no EGL device: {error}"))?;
        let mut why = "no EGL device".to_owned();
        for device in devices {
            match Self::on(&device) {
                Ok(canvas) => return Ok(canvas),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    fn on(device: &Device) -> Result<Self, glutin::error::Error> {
        // SAFETY: no raw display handle is passed that could be wrong.
        let display = unsafe { Display::with_device(device, None)? };
        let template = ConfigTemplateBuilder::new().with_surface_type(ConfigSurfaceTypes::PBUFFER).build();
        // SAFETY: the template names no native window.
        let config: Option<Config> = unsafe { display.find_configs(template)?.next() };
        let config = config.ok_or(glutin::error::ErrorKind::BadConfig)?;
        let [width, height] = MOST.map(|side| NonZeroU32::new(side).expect("not zero"));
        let attributes = SurfaceAttributesBuilder::<PbufferSurface>::new().build(width, height);
        // SAFETY: `config` is one of this display's.
        let surface = unsafe { display.create_pbuffer_surface(&config, &attributes)? };
        // SAFETY: likewise, and no native window is named.
        let context = unsafe { display.create_context(&config, &ContextAttributesBuilder::new().build(None))? };
        let context = context.make_current(&surface)?;
        // SAFETY: the context is current, and `display` knows its functions.
        let gl = unsafe { glow::Context::from_loader_function_cstr(|name| display.get_proc_address(name)) };
        Ok(Self { gl: Arc::new(gl), _context: context, _surface: surface })
    }

    /// What the harness shows now.
    pub(crate) fn draw<T>(&self, harness: &Harness<'_, T>, textures: &Textures) -> Picture {
        let output = harness.output();
        let scale = output.pixels_per_point;
        let points = harness.ctx.content_rect().size();
        let size = [(points.x * scale).round() as u32, (points.y * scale).round() as u32];
        assert!(size[0] <= MOST[0] && size[1] <= MOST[1], "{size:?} fits on the canvas");
        let shapes = harness.ctx.tessellate(output.shapes.clone(), scale);
        let mut painter = egui_glow::Painter::new(Arc::clone(&self.gl), "", None, false).expect("its shaders compile");
        painter.clear(size, [0.0, 0.0, 0.0, 1.0]);
        painter.paint_and_update_textures(size, scale, &shapes, &mut textures.0.borrow_mut());
        let image = painter.read_screen_rgba(size);
        painter.destroy();
        // SAFETY: the context is current on this thread.
        assert_eq!(unsafe { self.gl.get_error() }, glow::NO_ERROR);
        let rgb = image.as_raw().as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
        Picture { size, rgb }
    }
}

impl Picture {
    /// How many colours it has.
    pub(crate) fn colours(&self) -> usize {
        let pixels = self.rgb.as_chunks::<3>().0;
        pixels.chunk_by(PartialEq::eq).map(|run| run[0]).collect::<HashSet<_>>().len()
    }

    /// Writes it as a PNG with a palette: half the size, and no colour is off by more than an eye can tell.
    pub(crate) fn write(&self, path: &Path) {
        let pixels = self.rgb.as_chunks::<3>().0;
        let (palette, place) = palette(pixels);
        let file = std::fs::File::create(path).expect("the picture's file can be made");
        let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), self.size[0], self.size[1]);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette.concat());
        encoder.set_deflate_compression(png::DeflateCompression::Level(6));
        encoder.set_filter(png::Filter::NoFilter);
        let mut writer = encoder.write_header().expect("written");
        let runs = pixels.chunk_by(PartialEq::eq);
        let indices: Vec<u8> = runs.flat_map(|run| std::iter::repeat_n(place[&run[0]], run.len())).collect();
        writer.write_image_data(&indices).expect("written");
    }

    /// Width and height of a PNG.
    pub(crate) fn size_of(path: &Path) -> Option<[u32; 2]> {
        let file = std::fs::File::open(path).ok()?;
        let reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().ok()?;
        Some([reader.info().width, reader.info().height])
    }
}

/// At most 256 colours, the frequent ones exactly, and for each colour its place among them.
fn palette(pixels: &[[u8; 3]]) -> (Vec<[u8; 3]>, HashMap<[u8; 3], u8>) {
    let mut counts: HashMap<[u8; 3], usize> = HashMap::new();
    pixels.chunk_by(PartialEq::eq).for_each(|run| *counts.entry(run[0]).or_default() += run.len());
    let mut colours: Vec<([u8; 3], usize)> = counts.into_iter().collect();
    colours.sort_by_key(|(colour, count)| (std::cmp::Reverse(*count), *colour));
    let far = |a: &[u8; 3], b: &[u8; 3]| a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum::<u32>();
    // The nearer a colour may be to one that is there already, the more there are: as near as 256 allow.
    for least in 0_u32.. {
        let mut palette: Vec<[u8; 3]> = Vec::new();
        for (colour, _) in &colours {
            if !palette.iter().any(|kept| far(kept, colour) <= least * least) {
                palette.push(*colour);
            }
        }
        if palette.len() <= 256 {
            let nearest = |colour: &[u8; 3]| (0..palette.len()).min_by_key(|at| far(&palette[*at], colour));
            let place =
                colours.iter().map(|(colour, _)| (*colour, nearest(colour).unwrap_or_default() as u8)).collect();
            return (palette, place);
        }
    }
    unreachable!("in the end all colours are alike")
}
