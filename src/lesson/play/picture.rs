//! Pictures: what is there, drawn when the lesson comes to it, and told in words.

use crate::error::Result;
use crate::lesson::model::Picture;
use crate::ui::{Style, markdown, picture, wrap};

use super::Player;

impl Player<'_> {
    /// Looks, and shows what there is; or says why there is nothing to be drawn.
    pub(super) fn picture(&mut self, picture: &Picture) -> Result<()> {
        let Some(page) = &self.page else { return Ok(()) };
        let drawn = picture.draw.gather(self.stage.world());
        self.record.picture(picture, &drawn);
        let (width, color, ascii) =
            (page.width(), page.settings().color_out, page.settings().ascii);
        let caption = format!("**Picture.** {}", picture.caption);
        let mut text = markdown::render(&caption, width, color);
        match drawn {
            // Nothing is drawn where nothing may be: it is told.
            Ok(drawn) if page.plain() => {
                text.push_str(&format!("\n  {}", wrap(&drawn.words(), width - 2, "  ")));
            }
            Ok(drawn) => {
                let lines = picture::text(&drawn.draw(width), ascii, color);
                let words = wrap(&drawn.words(), width - 2, "");
                text.push_str(&format!("\n{lines}"));
                for line in words.lines() {
                    text.push_str(&format!("\n  {}", page.paint(line, Style::Dim)));
                }
            }
            Err(why) => {
                let why = wrap(&format!("  Not drawn: {why}."), width, "  ");
                text.push_str(&format!("\n{}", page.paint(&why, Style::Warning)));
            }
        }
        self.put(&text)
    }
}
