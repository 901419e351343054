variable "token" { default = "t-1" }

locals {
  users = [{ name = "ann", age = 41 }, { name = "bob", age = 7 }]
}

scenario "requests" {
  timeline {
    baseline = "1s"
    load     = "5s"
    recovery = "0s"
  }
  traffic "shoppers" {
    base        = "http://shop:8080/"
    headers     = { "User-Agent" = "shoppers", "X-Token" = var.token }
    timeout     = "10s"
    http        = "1.1"
    unix        = "run/shop.sock"
    connections = "fresh"
    tls {
      server_name = "shop"
      insecure    = true
    }
    data "users" {
      rows  = local.users
      order = "shuffled"
    }
    data "codes" { rows = csvdecode("code,area\n1,north\n2,south\n") }

    request "home" {
      weight = 3
      url    = "/"
    }
    flow "buy" {
      weight = 0.5
      request "add" {
        method    = "post"
        url       = "/cart?user=${data.users.name}&q=${urlencode("a b&c")}"
        headers   = { "content-type" = "application/json", "x-token" = "own" }
        body      = jsonencode({ sku = "A1", n = iteration.number, code = data.codes.code })
        timeout   = "2s"
        redirects = 2
        think     = ["200ms", "1s"]
        expect {
          status   = [200, 201]
          contains = ["ok"]
          matches  = ["^\\{"]
          json     = { "items.0.sku" = "A1", "items.#" = 2, "paid" = false, "id" = null }
          headers  = { "Content-Type" = "json" }
        }
        extract "cart" { json = "id" }
        extract "where" { header = "Location" }
        extract "sum" { regexp = "sum=(\\d+)" }
      }
      request "pay" {
        method = "POST"
        url    = "/cart/${value.cart}/pay?s=${value.sum}"
        body   = "id=${iteration.id}"
        think  = "1s"
        expect { status = 204 }
      }
      request "see" { url = value.where }
    }
    request "bank" { url = "https://bank.test:8443/x" }
    baseline { rate = 10 }
  }
}
