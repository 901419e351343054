// Package mountrig lets a test try disks of its own: it runs the test binary once more, in a mount namespace where a small
// file system is mounted, so that nothing of it is seen elsewhere or can be left behind.
package mountrig
