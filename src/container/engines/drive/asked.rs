//! What one of our `run` lines asks for, to be said in another engine's words.

/// Flags that are followed by a value, and how they are kept.
const VALUED: [&str; 21] = [
    "--name",
    "--hostname",
    "-H",
    "--network",
    "--publish",
    "-p",
    "--cpus",
    "--cpu-shares",
    "-c",
    "--cpuset-cpus",
    "--memory",
    "-m",
    "--memory-swap",
    "--pids-limit",
    "--cap-add",
    "--cap-drop",
    "--tmpfs",
    "--volume",
    "-v",
    "--env",
    "--pull",
];

/// A container that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// How it is to be found.
    pub name: String,
    /// Whether it is left running.
    pub detach: bool,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether root in it is to be nobody outside.
    pub userns: bool,
    /// Whether `base` will do where the image cannot be had.
    pub or_base: bool,
    /// Other flags with their values, by their long names.
    pub flags: Vec<(String, String)>,
    /// Its image, as it was typed.
    pub image: String,
    /// What runs in it.
    pub command: Vec<String>,
}

impl Asked {
    /// Reads the words of a `run` line; the error names what has no translation.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut asked = Self::default();
        let mut words = words.iter().skip_while(|word| *word == "run" || *word == "-q");
        while let Some(word) = words.next() {
            let (flag, given) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            match flag {
                "-d" | "--detach" => asked.detach = true,
                "-t" | "--tty" => asked.tty = true,
                "--userns" => asked.userns = true,
                "--or-base" => asked.or_base = true,
                flag if VALUED.contains(&flag) => {
                    let value = given.or_else(|| words.next().cloned()).unwrap_or_default();
                    match flag {
                        "--name" => asked.name = value,
                        "--pull" => {}
                        flag => asked.flags.push((long(flag).to_owned(), value)),
                    }
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("`{flag}` is not translated to other engines' words"));
                }
                image => {
                    asked.image = image.to_owned();
                    asked.command = words.by_ref().cloned().collect();
                }
            }
        }
        match asked.image.is_empty() {
            true => Err("no image is named".to_owned()),
            false => Ok(asked),
        }
    }

    /// The value of a flag, by its long name.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }
}

fn long(flag: &str) -> &str {
    match flag {
        "-H" => "--hostname",
        "-p" => "--publish",
        "-c" => "--cpu-shares",
        "-m" => "--memory",
        "-v" => "--volume",
        flag => flag,
    }
}

/// `32M` in bytes, as docker counts.
pub fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match size[digits.len()..].to_ascii_lowercase().trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}
