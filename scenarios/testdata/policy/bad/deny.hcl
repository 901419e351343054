deny {
  exe      = ["("]
  command  = [""]
  units    = ["[a"]
  networks = ["10.0.0.0/33", "db.internal"]
  paths    = ["var/lib"]
  nodes    = [""]
  users    = ["root"]
}
