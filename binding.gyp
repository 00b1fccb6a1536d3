{
  'includes': ['sources.gypi'],
  'targets': [
    {
      'target_name': 'spliceport',
      'sources': ['<@(engine_sources)', '<@(binding_sources)'],
      'include_dirs': ['native', '<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['<@(binding_defines)'],
      'cflags': ['-fvisibility=hidden', '-Wall', '-Wextra', '-Werror', '-Wno-missing-field-initializers'],
      'cflags_cc!': ['-std=gnu++17', '-frtti'],
      'cflags_cc': ['-std=c++20', '-fno-exceptions', '-fno-rtti', '-fvisibility-inlines-hidden'],
      'ldflags': ['-Wl,-Bsymbolic', '-Wl,--exclude-libs,ALL', '-Wl,-z,relro', '-Wl,-z,now'],
      'conditions': [["OS!='linux'", { 'sources': ['spliceport-supports-linux-only'] }]],
    },
  ],
}
