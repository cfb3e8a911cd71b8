pub struct Build {
    pub name: String,
}
pub fn builds() -> Vec<Build> {
    include_str!("builds.txt").lines().map(|l| Build { name: l.to_owned() }).collect()
}
