//! Lines that show who stands below whom.

use std::collections::HashMap;

/// From who stands above whom to an order, depth first, and the lines before
/// each: `├─`, `└─`.
pub fn branches(superiors: &[Option<usize>]) -> Vec<(usize, String)> {
    let mut below: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (at, superior) in superiors.iter().enumerate() {
        below.entry(*superior).or_default().push(at);
    }
    let mut order = Vec::with_capacity(superiors.len());
    // A stack of what is still to be drawn: index, the lines before it, its own branch.
    let mut rest: Vec<(usize, String, &str)> = Vec::new();
    let roots = below.remove(&None).unwrap_or_default();
    rest.extend(roots.into_iter().rev().map(|at| (at, String::new(), "")));
    while let Some((at, before, branch)) = rest.pop() {
        order.push((at, format!("{before}{branch}")));
        let before = match branch {
            "" => before,
            "└─" => before + "  ",
            _ => before + "│ ",
        };
        let members = below.remove(&Some(at)).unwrap_or_default();
        for (nth, member) in members.into_iter().rev().enumerate() {
            rest.push((member, before.clone(), if nth == 0 { "└─" } else { "├─" }));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_drawn_depth_first() {
        let drawn = branches(&[None, Some(0), Some(0), Some(1), None]);
        let drawn: Vec<_> = drawn.iter().map(|(at, branch)| format!("{branch}{at}")).collect();
        assert_eq!(drawn, ["0", "├─1", "│ └─3", "└─2", "4"]);
    }
}
