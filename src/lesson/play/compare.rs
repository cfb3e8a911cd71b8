//! `console article`: a few lines of the article's output beside this
//! machine's, with each difference named.

use crate::error::Result;
use crate::lesson::model::Article;
use crate::ui::Style;

use super::{Player, fences};

impl Player<'_> {
    /// Shows the article's lines, performs the command here, names what differs.
    pub(super) fn compare(&mut self, article: &Article) -> Result<()> {
        if self.page.is_none() {
            return Ok(());
        }
        for (command, there) in &article.parts {
            if self.turn.is_some() {
                break;
            }
            let command = &self.stage.world().qualified(command);
            let done = self.stage.shell(command)?;
            let missing = fences::missing_program(command, &done);
            let here: Vec<_> = done.output.trim_end().lines().map(str::to_owned).collect();
            let differences = differences(there, &here, article.what.as_deref());
            let answer = missing.as_deref().map_or(Ok(done.output.as_str()), Err);
            self.record.article((command, there), answer, &differences);
            let Some(page) = &self.page else { continue };
            let mut text = format!(
                "  {} {}",
                page.paint("$", Style::Dim),
                page.paint(command, Style::Command)
            );
            for line in there {
                text.push_str(&format!("\n  {} {line}", page.paint("article", Style::Dim)));
            }
            match missing {
                Some(missing) => {
                    text.push_str(&format!("\n  {}", page.paint(&missing, Style::Warning)))
                }
                None => {
                    for line in &here {
                        text.push_str(&format!("\n  {} {line}", page.paint("   here", Style::Dim)));
                    }
                    let told = match differences.is_empty() {
                        true => "no difference".to_owned(),
                        false => differences.join("; "),
                    };
                    let told = crate::ui::wrap(&told, page.width() - 2, "  ");
                    text.push_str(&format!("\n  {}", page.paint(&told, Style::Label)));
                }
            }
            self.put(&text)?;
        }
        Ok(())
    }
}

/// Each difference between two outputs. Lines `KEY=VALUE` are compared by key,
/// others by place; the words that both have at either end are left out.
fn differences(there: &[String], here: &[String], what: Option<&str>) -> Vec<String> {
    let mut differences = Vec::new();
    for (index, line) in there.iter().enumerate() {
        let key = key_of(line);
        let other = match key {
            Some(key) => here.iter().find(|line| key_of(line) == Some(key)),
            None => here.get(index),
        };
        let name = key.or(what).unwrap_or("output");
        match other {
            Some(other) if other == line => {}
            Some(other) => {
                let (there, here) = middle(line, other, key.map_or(0, |key| key.len() + 1));
                differences.push(format!("{name} {there} there, {here} here"));
            }
            None => {
                let value = line[key.map_or(0, |key| key.len() + 1)..].trim_matches('"');
                differences.push(format!("{name} {value} there, none here"));
            }
        }
    }
    if here.len() > there.len() && !there.iter().any(|line| key_of(line).is_some()) {
        differences.push(format!("{} lines there, {} here", there.len(), here.len()));
    }
    differences
}

fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let plain = |c: char| c.is_ascii_uppercase() || c == '_';
    (!key.is_empty() && key.chars().all(plain)).then_some(key)
}

/// What is left of two lines when their common words at both ends are gone.
fn middle(there: &str, here: &str, skip: usize) -> (String, String) {
    let words = |line: &str| -> Vec<String> {
        let rest = line.get(skip..).unwrap_or(line).trim_matches('"');
        rest.split_whitespace().map(str::to_owned).collect()
    };
    let (mut there, mut here) = (words(there), words(here));
    if skip > 0 {
        return (there.join(" "), here.join(" "));
    }
    while there.len() > 1 && here.len() > 1 && there.first() == here.first() {
        there.remove(0);
        here.remove(0);
    }
    while there.len() > 1 && here.len() > 1 && there.last() == here.last() {
        there.pop();
        here.pop();
    }
    (there.join(" "), here.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn differences_are_named() {
        let (there, here) = (lines("Linux 5.15.0-1019-aws"), lines("Linux 6.18.44"));
        assert_eq!(
            differences(&there, &here, Some("kernel")),
            ["kernel 5.15.0-1019-aws there, 6.18.44 here"]
        );
        let there = lines("NAME=\"Rocky Linux\"\nVERSION=\"8.6 (Green Obsidian)\"");
        let here = lines("ID=x\nNAME=\"Rocky Linux\"\nVERSION=\"9\"");
        assert_eq!(
            differences(&there, &here, None),
            ["VERSION 8.6 (Green Obsidian) there, 9 here"]
        );
        assert!(differences(&here, &here, None).is_empty());
    }
}
