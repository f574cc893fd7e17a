unit-tests += test_packet
unit-tests += test_model
unit-tests += test_flexpage
unit-tests += test_sched
unit-tests += test_map
unit-tests += test_boot
unit-tests += test_ipc
