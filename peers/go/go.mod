module tributary/peers/go

go 1.21

// The agent names no versions of what it depends on; these are fixed here and build with Go 1.21 and later.
require (
	github.com/aws/aws-lambda-go v1.47.0
	github.com/iopipe/iopipe-go v0.1.1
)

require (
	github.com/go-ole/go-ole v1.2.6 // indirect
	github.com/shirou/gopsutil v3.21.11+incompatible // indirect
	github.com/sirupsen/logrus v1.9.3 // indirect
	github.com/smartystreets/goconvey v1.8.1 // indirect
	github.com/tklauser/go-sysconf v0.3.12 // indirect
	github.com/tklauser/numcpus v0.6.1 // indirect
	github.com/yusufpapurcu/wmi v1.2.4 // indirect
	golang.org/x/sys v0.20.0 // indirect
)
