scenario "x" {
  summary = "This is no calendar."
}
