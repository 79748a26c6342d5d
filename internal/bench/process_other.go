//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"time"
)

var errLinux = errors.New("bench needs Linux")

func cores() (proxy, rest int, err error) { return 0, 0, errLinux }
func stayOn(int) error                    { return errLinux }
func startOn(int, *exec.Cmd) error        { return errLinux }
func cpuTime(int) (time.Duration, error)  { return 0, errLinux }
