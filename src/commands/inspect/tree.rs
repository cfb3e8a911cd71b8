//! Puts namespaces below the user namespace they belong to, and pid
//! namespaces below their parents.

use std::collections::HashMap;

use super::ns::Row;
use crate::kernel::namespace::{Id, Kind};

/// The rows in the order of the tree, each with its branch drawn. Rows whose
/// superior is not among them stand at the left.
pub(super) fn ordered(rows: Vec<Row>) -> Vec<Row> {
    let superiors: Vec<_> = rows.iter().map(|row| superior(row, &rows)).collect();
    let order = walk(&superiors);
    let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
    let placed = order.into_iter().filter_map(|(at, branch)| {
        let mut row = rows.get_mut(at)?.take()?;
        row.branch = branch;
        Some(row)
    });
    placed.collect()
}

/// Which row stands above this one.
fn superior(row: &Row, rows: &[Row]) -> Option<usize> {
    let listed = |id: Option<Id>| rows.iter().position(|row| Some(row.id) == id);
    match row.id.kind {
        Kind::Pid => listed(row.family.parent).or_else(|| listed(row.family.owner)),
        _ => listed(row.family.owner),
    }
}

/// From who stands above whom to an order and the lines that show it.
fn walk(superiors: &[Option<usize>]) -> Vec<(usize, String)> {
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
        let drawn = walk(&[None, Some(0), Some(0), Some(1), None]);
        let drawn: Vec<_> = drawn.iter().map(|(at, branch)| format!("{branch}{at}")).collect();
        assert_eq!(drawn, ["0", "├─1", "│ └─3", "└─2", "4"]);
    }
}
