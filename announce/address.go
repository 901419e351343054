package announce

import (
	"errors"
	"net/netip"
	"net/url"
)

// CheckAddress says what is wrong with the address of a webhook, in a clause that does not repeat it.
func CheckAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("is not an address such as https://hooks.example.com/…")
	case u.User != nil:
		return errors.New("has a user name or a password in its address, which is not sent")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("does not begin with https://")
	case !Loopback(u.Hostname()):
		return errors.New("begins with http://: whoever is on the way could read the address and use it; only this machine is spoken to so")
	}
	return nil
}

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
