scenario "requests" {
  timeline {
    baseline = "1s"
    load     = "5s"
    recovery = "0s"
  }
  traffic "both" {
    script = "shoppers.js"
    request "home" { url = "http://shop/" }
    baseline { rate = 1 }
  }
  traffic "scripted" {
    script  = "shoppers.js"
    timeout = "1s"
    tls { insecure = true }
    baseline { rate = 1 }
  }
  traffic "wrong" {
    env         = { A = "b" }
    base        = "shop:8080"
    http        = "3"
    connections = "fersh"
    headers     = ["a"]
    tls { cert = "c.pem" }
    data "users" {
      rows  = [{ name = "ann" }, { nam = "bob" }]
      order = "random"
    }
    data "none" { rows = [] }
    data "deep" { rows = [{ a = { b = 1 } }] }
    baseline { rate = 1 }
    flow "empty" {}
    request "home" {
      weight = -1
      url    = "/"
      think  = ["2s", "1s"]
    }
    flow "home" {
      request "twice" { url = "http://shop/" }
      request "twice" { url = "http://shop/" }
    }
    flow "buy" {
      request "pay" {
        weight = 2
        url    = "http://shop/${value.cart}"
      }
      request "add" {
        url  = "http://shop/?u=${data.users.nmae}&x=${data.user.name}"
        body = { a = 1 }
        expect {
          status = "ok"
          json   = ["id"]
        }
        extract "cart" {}
        extract "sum" {
          json   = "id"
          header = "Id"
        }
      }
      request "see" {
        url     = "http://shop/${upper(value.cart)}"
        headers = { "X-N" = iteration.nmber }
        body    = iteration["number"]
      }
      request "look" {
        url     = value.cart == "" ? "http://shop/" : "http://shop/${value.cart}"
        headers = { "X-S" = split("-", value.sum)[0] }
        body    = jsonencode({ (value.cart) = 1, sum = trimspace(value.sum) })
        think   = { a = "1s" }
        expect { status = 200.5 }
      }
      request "call" {
        method = "POST"
        url    = "http://shop:9000"
        grpc {
          descriptor = "shop.binpb"
          method     = "shop.Cart/Add"
        }
      }
    }
  }
  traffic "nothing" {
    baseline { rate = 1 }
  }
}
