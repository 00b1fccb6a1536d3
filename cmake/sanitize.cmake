# Every finding ends the program: a report that scrolls by is a report that nobody reads.
function(spliceport_sanitize kinds)
  if(kinds STREQUAL "none")
    return()
  endif()
  set(flags -fsanitize=${kinds} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1)
  add_compile_options(${flags})
  add_link_options(${flags})
endfunction()
