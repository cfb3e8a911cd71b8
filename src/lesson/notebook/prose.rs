//! A lesson's own Markdown on the page. A lesson may come from anywhere, so HTML in
//! it is shown as text, nothing is loaded, and a link leads to the web or nowhere.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::ansi;

/// Paragraphs, lists, tables.
pub fn blocks(markdown: &str) -> Markup {
    let mut text = String::new();
    let clean = ansi::plain(markdown);
    html::push_html(&mut text, events(&clean));
    PreEscaped(text)
}

/// The same of one paragraph, without being one: to stand in a sentence.
pub fn inline(markdown: &str) -> Markup {
    let mut text = String::new();
    let clean = ansi::plain(markdown);
    let mut paragraphs = 0;
    let events = events(&clean).filter_map(|event| match event {
        Event::Start(Tag::Paragraph) => {
            paragraphs += 1;
            (paragraphs > 1).then_some(Event::HardBreak)
        }
        Event::End(TagEnd::Paragraph) => None,
        Event::Start(Tag::List(_) | Tag::Item) => Some(Event::HardBreak),
        Event::Start(Tag::Strong | Tag::Emphasis | Tag::Link { .. })
        | Event::End(TagEnd::Strong | TagEnd::Emphasis | TagEnd::Link)
        | Event::Text(_)
        | Event::Code(_)
        | Event::SoftBreak
        | Event::HardBreak => Some(event),
        _ => None,
    });
    html::push_html(&mut text, events);
    PreEscaped(text)
}

fn events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        // What is not loaded is named.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        // The page's own headings are above.
        Event::Start(Tag::Heading { .. }) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::Heading(_)) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let web = ["https://", "http://", "mailto:"].iter().any(|s| dest_url.starts_with(s));
            let dest_url = if web { dest_url } else { CowStr::Borrowed("#") };
            Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        event => Some(event),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_from_elsewhere_is_text_and_loads_nothing() {
        let hostile = "a <script>x</script> ![p](http://x/y.png) [l](javascript:x) [m](https://x)\n\n<img src=x>\n\n# H";
        for text in [blocks(hostile).into_string(), inline(hostile).into_string()] {
            assert!(
                !text.contains("<script") && !text.contains("<img") && !text.contains("<h1"),
                "{text}"
            );
            assert!(!text.contains("javascript:") && text.contains("href=\"https://x\""), "{text}");
        }
        assert_eq!(inline("a `b` *c*").into_string(), "a <code>b</code> <em>c</em>");
        assert_eq!(blocks("a\n\n- b").into_string(), "<p>a</p>\n<ul>\n<li>b</li>\n</ul>\n");
    }
}
