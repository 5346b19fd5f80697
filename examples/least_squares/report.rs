pub fn list(names: &[String]) -> String {
    names.join(", ")
}
