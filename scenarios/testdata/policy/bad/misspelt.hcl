kind {
  deny = ["node_restart"]
}
require_label = { chaos = "allowed" }
approvals {
  required = true
}
