// Package bucketrig is, for tests, a bucket mounted as files: a file system of our own, by the kernel's protocol for file systems in user
// space (linux/fuse.h), which takes what drivers of buckets take and refuses the rest. A file is created under its name, written once from
// its beginning to its end, and read when it was closed. There are no appends, renames, removals, locks, nor changes of modes and times.
package bucketrig
