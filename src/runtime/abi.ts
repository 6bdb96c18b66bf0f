// What the facade knows of the core beside its exports; scripts/build/abi.js reads it in assembly/.

export {
  AttentionWords,
  CoreConstants,
  kinds,
  OperationWords,
  RecurrenceWords,
  WindowWords,
} from "../../build/abi.ts";
