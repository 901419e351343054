schedule "weekly" {
  scenarios = ["drill.hcl"]
}
