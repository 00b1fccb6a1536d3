{
  'includes': ['sources.gypi'],
  'target_defaults': {
    'cflags': ['-fvisibility=hidden', '-Wall', '-Wextra', '-Werror', '-Wno-missing-field-initializers'],
    'cflags_cc!': ['-std=gnu++17', '-frtti'],
    'cflags_cc': ['-std=c++20', '-fno-exceptions', '-fno-rtti', '-fvisibility-inlines-hidden'],
    'ldflags': ['-Wl,-z,relro', '-Wl,-z,now'],
  },
  'targets': [
    {
      'target_name': 'spliceport',
      'sources': ['<@(engine_sources)', '<@(binding_sources)'],
      'include_dirs': ['native', '<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['<@(binding_defines)'],
      'ldflags': ['-Wl,-Bsymbolic', '-Wl,--exclude-libs,ALL'],
      'conditions': [["OS!='linux'", { 'sources': ['spliceport-supports-linux-only'] }]],
    },
    {
      'target_name': 'rootlessport',
      'type': 'executable',
      'sources': ['<@(engine_sources)', '<@(shim_sources)', '<@(shim_main)'],
      'include_dirs': ['native'],
      'defines': ['SPLICEPORT_VERSION="<!(node -p "require(\'./package.json\').version")"'],
      'cflags': ['-fPIE'],
      'ldflags': ['<!@(native/shim/link-flags.sh)'],
    },
  ],
}
