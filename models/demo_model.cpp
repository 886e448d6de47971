// The embedded model's bytes, put into the library clipon::demo_model by the assembler: no generated source, no
// parsing. Model::load_demo reads them between the two symbols.
#if defined(__APPLE__)
#error "clipon::demo_model: .incbin for Mach-O is not written yet; load models/clipon-demo.gguf as a file"
#endif

__asm__(
    ".section .rodata\n"
    ".balign 64\n"  // tensors are 32-byte aligned in the file and are read in place
    ".global clipon_demo_model_begin\n"
    "clipon_demo_model_begin:\n"
    ".incbin \"" CLIPON_DEMO_MODEL_FILE
    "\"\n"
    ".global clipon_demo_model_end\n"
    "clipon_demo_model_end:\n"
    ".byte 0\n"
    ".section .note.GNU-stack,\"\",@progbits\n"
    ".text\n");
