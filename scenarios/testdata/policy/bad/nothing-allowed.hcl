kinds {
  allow = []
}
