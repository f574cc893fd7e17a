user-programs += guest
guest-c := $(wildcard tests/guest/*.c)
