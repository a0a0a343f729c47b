// Pause holds the namespaces of a Pod until it is told to end, and reaps what its
// containers leave behind where they share its process namespace.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGINT, syscall.SIGTERM)
	for signal := range signals {
		if signal != syscall.SIGCHLD {
			return
		}
		for {
			reaped, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if reaped <= 0 || err != nil {
				break
			}
		}
	}
}
